"""What the bundle's interpreter runs: it makes the packages beside this file importable and starts
the runner.
"""

import sys

# asyncio would import it for TLS, which the runner never speaks; it is a tenth of the start.
vars(sys)["modules"]["ssl"] = None
sys.path.append(__file__.rpartition("/")[0])

from backendai.kernel.runner.main import main  # noqa: E402 - the path must be there first

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
