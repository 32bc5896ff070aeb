//! Cron text, Vixie's rule, zones: the next instant of a schedule.
