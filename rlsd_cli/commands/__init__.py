"""The commands: parse, call, print. Heavy modules are imported inside the functions, so that --help is fast."""
