"""Search: the tokenizer, the index and the queries that find events by words and ids."""
