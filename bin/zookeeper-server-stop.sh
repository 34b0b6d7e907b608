#!/usr/bin/env bash
echo "Ottla needs no ZooKeeper: the servers keep the cluster's metadata themselves. Go on with bin/kafka-server-start.sh."
