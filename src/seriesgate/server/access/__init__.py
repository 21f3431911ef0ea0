"""Who may do what: tokens, sessions, and the slowing down of whoever tries them."""
