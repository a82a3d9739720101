"""`python -m netspace` is the `netspace` command."""

from netspace.cli import main

if __name__ == "__main__":
    main()
