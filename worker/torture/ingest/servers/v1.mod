module jetstream-v1

go 1.26.0

require github.com/bluesky-social/jetstream v0.0.0-20251009222037-7d7efa58d7f1
