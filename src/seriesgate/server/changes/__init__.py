"""Who is told of the changes of series: streams of events, and webhooks."""
