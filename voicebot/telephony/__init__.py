"""Twilio: its wire format, its documents, its REST interface, and a stand-in for its side."""
