"""frps: opens ports on behalf of clients and carries visitors to them."""
