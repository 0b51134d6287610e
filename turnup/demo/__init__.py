"""`turnup demo`: a script in YAML, played against a real server and a real lab."""
