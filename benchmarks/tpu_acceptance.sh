#!/usr/bin/env bash
# What only a chip can show, one line each: pass or fail. Run it on a TPU VM, in the environment that holds plantset:
#   bash benchmarks/tpu_acceptance.sh            made-up leaves, about half an hour, most of it compiling
# It leaves nothing behind but the folder it names at the end. Exit status 1 when a line failed.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
export PLANTSET_LANG=en
cd "$work" || exit 2
failed=0

plantset() { python -m plantset "$@"; }
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

check() { # check TITLE COMMAND …: pass when the command succeeds
    local title=$1 log="$work/${1//[^a-zA-Z0-9]/_}.log" start=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        printf 'pass  %-62s %5d s\n' "$title" $((SECONDS - start))
    else
        printf 'FAIL  %-62s %5d s  %s\n' "$title" $((SECONDS - start)) "$log"
        failed=1
    fi
}

# a refusal is wanted: exit status 2 and the number that is there
refused() { "$@"; [ $? -eq 2 ]; }
# two files of JSON numbers: the named one may differ by so much
near() { python - "$@" <<'PY'
import json, sys
key, limit, *files = sys.argv[1:]
one, other = (json.load(open(name))[key] for name in files)
print(one, other)
sys.exit(abs(one - other) > float(limit))
PY
}
losses_fall() { python - "$1" <<'PY'
import csv, sys
losses = [float(row["loss"]) for row in csv.DictReader(open(sys.argv[1]))]
print(losses)
sys.exit(not losses[-1] < losses[0])
PY
}

small=(--vision-backbone resnet18 --no-pretrained --image-size 128 --batch-size 64 --num-workers 4 --seed 0)
cores=$(python -c 'from plantset.runtime.chips import count_cores, count_tpu_chips; print(count_cores(count_tpu_chips()))')
chips=$(python -c 'from plantset.runtime.chips import count_tpu_chips; print(count_tpu_chips())')
echo "chips: $chips, --tpu-cores $cores"

check 'chips are found' test "$cores" -gt 0
check 'doctor finds nothing missing' plantset doctor
check 'made-up leaves: photos, clean, map' plantset demo --run-dir demo --photos-per-class 40 --epochs 1
manifest=$(find demo -name 'multimodal_dataset.jsonl' | head -1)
train=(--jsonl-file "$manifest" "${small[@]}")

check 'the wrong number of cores is refused' refused plantset scale-tpu "${train[@]}" --checkpoint-dir none --tpu-cores 999
check 'two steps: memory and time are told' plantset scale-tpu "${train[@]}" --checkpoint-dir dry --tpu-cores "$cores" --dry-run
check 'three epochs on all cores, fp32' plantset scale-tpu "${train[@]}" --checkpoint-dir fp32 --tpu-cores "$cores" --epochs 3
check 'the loss falls' losses_fall fp32/history.csv
check 'three epochs in bf16' plantset scale-tpu "${train[@]}" --checkpoint-dir bf16 --epochs 3 --mixed-precision
check 'the same on the CPU' plantset train "${train[@]}" --checkpoint-dir cpu --epochs 3 --device cpu
check 'accuracy as on the CPU, to 10 points' near val_accuracy 0.1 fp32/train_report.json cpu/train_report.json
check 'accuracy of bf16 as of fp32, to 10 points' near val_accuracy 0.1 bf16/train_report.json fp32/train_report.json
check 'the checkpoint evaluates on the CPU' plantset evaluate --checkpoint fp32/best_model.pth --jsonl-file "$manifest" --device cpu --output-dir evaluated
check 'a checkpoint of the CPU goes on on the chips' plantset scale-tpu "${train[@]}" --checkpoint-dir warm --epochs 1 --init-checkpoint cpu/best_model.pth

killed_and_resumed() { # SIGTERM between two steps, as a preempted machine gets it
    plantset scale-tpu "${train[@]}" --checkpoint-dir killed --epochs 3 --save-steps 5 &
    local pid=$!
    until [ -s killed/last_model.pth ] || ! kill -0 $pid 2>/dev/null; do sleep 1; done
    kill -TERM $pid
    wait $pid
    plantset scale-tpu "${train[@]}" --checkpoint-dir killed --epochs 3 --save-steps 5 --resume auto
}
check 'killed, and gone on with' killed_and_resumed
check 'accuracy as never killed, to 1 point' near val_accuracy 0.01 killed/train_report.json fp32/train_report.json
check 'activations computed again' plantset scale-tpu "${train[@]}" --checkpoint-dir again --epochs 1 --gradient-checkpointing
check 'five presets, one epoch each' bash -c "for preset in cross-attention qwen-vl vadapter flava florence-2; do \
    python -m plantset scale-tpu ${train[*]} --checkpoint-dir preset_\$preset --epochs 1 --preset \$preset || exit 1; done"
if python -c 'import torch_xla' 2>/dev/null; then
    check 'parameters cut over the chips' plantset scale-tpu "${train[@]}" --checkpoint-dir cut --epochs 1 --shard-parameters
fi

echo "logs and checkpoints: $work"
exit $failed
