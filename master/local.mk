# master: the supervisor and the skeleton of every service.
