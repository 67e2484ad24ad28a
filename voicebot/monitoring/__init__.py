"""What operators see: logs with personal data left out, and metrics."""
