module opendev.org/openstack/oslo.tracing/tools/tempo

go 1.23.1

require github.com/grafana/tempo v1.5.1-0.20241001135150-ed943d7a56b2 // 2.6
