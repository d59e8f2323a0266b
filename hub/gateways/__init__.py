"""The ways out: database, queue, transport, embedded stores."""
