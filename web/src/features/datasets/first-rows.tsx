"use client";

import { useQuery } from "@tanstack/react-query";
import { QueryStates } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { Conversation } from "@/features/datasets/conversation";
import { rowsQuery, type DatasetDetails } from "@/features/datasets/queries";

const SHOWN = 2;

/** How the first rows are read. */
export function FirstRows({ dataset }: { dataset: DatasetDetails }) {
  const query = useQuery(rowsQuery(dataset, { offset: 0 }, SHOWN));
  return (
    <QueryStates query={query} loading={<Skeleton className="h-56 rounded-2xl" />}>
      {({ rows }) => (
        <ul className="flex flex-col gap-3">
          {rows.map(({ row, turns }) => (
            <li key={row} className="rounded-2xl border border-line bg-surface">
              <Conversation turns={turns} />
            </li>
          ))}
        </ul>
      )}
    </QueryStates>
  );
}
