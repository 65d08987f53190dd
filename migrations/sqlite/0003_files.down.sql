DROP TABLE file_memory;
