"""`python -m service` is `slipway`."""

from service.edge.cli import main

if __name__ == "__main__":
    main()
