"""The order engine of all three layers: ledger of tasks and the executor port."""
