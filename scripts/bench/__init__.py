"""Where the time and memory of an arm's step go, and how near the machine's arithmetic limit it runs."""
