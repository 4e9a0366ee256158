"""Smoke tests of the digits: their predictions in every media type. A fork with another network may delete them."""
