"""The command line: one module per noun; all but serve, lab, db and catalog check talk to a server."""
