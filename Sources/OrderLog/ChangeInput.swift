// placeholder: NDJSON and CSV readers are coming
