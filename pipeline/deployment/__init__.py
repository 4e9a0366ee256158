"""What puts a release on an endpoint, proves it live, takes it further, and takes it back."""
