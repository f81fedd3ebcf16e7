package deployments

import _ "embed"

// RedisConf is the shipped configuration of Redis, deployments/redis/redis.conf.
//
//go:embed redis/redis.conf
var RedisConf string
