import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ReactNode;
  /** Numbers stand to the right. */
  numeric?: boolean;
  /** Left out below 768 px: a phone shows what one chooses by. */
  wideOnly?: boolean;
}

interface Props<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
}

/** A list with columns. The first column names the row: put the link to it there, it is stretched over the whole row by `RowLink`. */
export function DataTable<Row>({ caption, columns, rows, rowKey }: Props<Row>) {
  const place = ({ numeric, wideOnly }: Column<Row>) =>
    cn("px-4 py-3 text-left align-middle", numeric && "text-right", wideOnly && "max-md:hidden");
  return (
    <div role="region" aria-label={caption} tabIndex={0} className="overflow-x-auto rounded-2xl border border-line bg-surface">
      <table className="w-full text-sm">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map((column) => (
              <th key={column.key} scope="col" className={cn(place(column), "py-2 font-medium whitespace-nowrap")}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} className="relative border-b border-line transition-colors last:border-0 hover:bg-sunken/60">
              {columns.map((column) => (
                <td key={column.key} className={place(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
