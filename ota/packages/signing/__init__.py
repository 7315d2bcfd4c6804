"""placeholder until merged"""

from ota.core.platforms import Scheme
from ota.packages.facts import Signature


def verify(archive, *, min_sdk, target_sdk):
    return Signature(scheme=Scheme.V2, signer="0" * 64)
