DROP INDEX event_by_version;
