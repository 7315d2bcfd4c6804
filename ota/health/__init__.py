"""Release health: the policy of an app and the tests that find a bad release."""
