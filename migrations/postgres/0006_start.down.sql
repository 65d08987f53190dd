DROP TABLE pulse, kept, command, hold, ran, file_memory, reading, announced, sighting, baseline, decision_event, decision,
  gathering, interest, event_branch, branch, event, delivery;
