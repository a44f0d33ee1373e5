#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# soak_test.sh BUILD_DIR KERNELS
# Long runs: schedulers that are in order stay for minutes of virtual time, on
# machines small and large and under every named workload, and a second run of
# the same is the same to the last event.
set -o pipefail
build_dir=$1 kernels=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

fingerprint() {	# REPORT
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["fingerprint"])' "$1"
}

soak() {	# MACHINE WORKLOAD DURATION OBJECT [ARGUMENTS...]
	local run status prints=()
	local command=("$build_dir/uscx" run "$4" --machine "$1" --workload "$2" --duration "$3" "${@:5}")
	for run in 1 2; do
		timeout 1800 "${command[@]}" --json "$scratch/$run.json" > "$scratch/output" 2>&1
		status=$?
		if [ "$status" -ne 0 ]; then
			echo "FAIL (status $status): ${command[*]}"
			tail -n 5 "$scratch/output"
			failed=1
			return
		fi
		prints+=("$(fingerprint "$scratch/$run.json")")
	done
	if [ "${prints[0]}" != "${prints[1]}" ]; then
		echo "FAIL (fingerprints ${prints[*]}): ${command[*]}"
		failed=1
		return
	fi
	echo "PASS ${prints[0]} ${command[*]}"
}

for workload in spin-sleep hackbench schbench; do
	long=120s
	[ "$workload" != hackbench ] || long=20s
	for object in "$build_dir"/examples/{fifo,vtime}.bpf.o "$kernels"/7.{2,3}/scx_simple.bpf.o; do
		case $object in */7.2/*) profile=7.2 ;; *) profile=7.3 ;; esac
		soak 1n2l4c2t "$workload" "$long" "$object" --kernel "$profile"
		soak 4n8l8c2t "$workload" 10s "$object" --kernel "$profile"
	done
	soak 1n1l4c1t "$workload" "$long" "$kernels/7.3/scx_cpu0.bpf.o"
	soak 2n4l8c2t "$workload" 20s "$kernels/7.3/scx_central.bpf.o" --set nr_cpu_ids=128 \
		--set 'cpu_gimme_task[128]' --set 'cpu_started_at[128]'
done
soak 8n8l32c2t spin-sleep 2s "$build_dir/examples/fifo.bpf.o"
exit "$failed"
