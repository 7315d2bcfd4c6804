"""The history of acts, and the outbox that holds their alerts. Both are written in the act's transaction."""
