module jetstream-v2

go 1.26.5

require github.com/bluesky-social/jetstream v0.2.0
