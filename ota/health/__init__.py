"""Release health: an app's policy, and the tests that find a bad release.

`ota.releases.watch` runs them and acts.
"""
