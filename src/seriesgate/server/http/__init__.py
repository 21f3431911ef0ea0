"""What every request and every answer goes through, whatever the route."""
