"""The first answer of an index to each of the forty networks.

python -m tests.retrieval.textbook [INDEX [ENCODER]]
"""

import sys

from tests.retrieval.textbook import measured, table
from tfnas.retrieval.relatives import Retriever

print(table(measured(Retriever.load(*sys.argv[1:3]))))
