"""What answers look like, for `/openapi.json` and for tests that hold the answers against it.

Routers make their bodies by hand and send them as they are: these models describe and cost no request any time.
Unknown fields are errors here, so that a field that is sent and not described is found.
"""
