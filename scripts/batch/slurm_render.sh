#!/bin/bash
# Renders a file of jobs as a Slurm array, in a folder that all nodes see:
#     sbatch --export=ALL,JOBS=jobs.jsonl slurm_render.sh
# A part that is preempted or whose node is lost goes on where it was. Afterwards:
#     effigy merge jobs.results-*.jsonl -o results.jsonl
#SBATCH --job-name=effigy-render
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=effigy-render-%A-%a.log
# Half a minute before the end each clip in hand is given up cleanly.
#SBATCH --signal=TERM@30

# Steps do not take over how many processors the job has for each task.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" effigy render "${JOBS:?expected JOBS=jobs.jsonl}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --jobs "$((SLURM_CPUS_PER_TASK / 2))"
