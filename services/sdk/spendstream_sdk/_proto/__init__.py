"""Generated from proto/ by `python services/sdk/generate_proto.py`; never edited."""
