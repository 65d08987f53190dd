-- What was said of a version: a decision about it answers every event that spoke of it.
CREATE INDEX event_by_version ON event (tenant, image, tag);
