/** Tables for people, in Markdown. */

/** A table: names of columns, and rows of as many cells. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What must be known to read it. */
  readonly notes: readonly string[];
}

/** The table as text. The first column is aligned to the left, all others to the right. */
export function formatTable({ title, columns, rows, notes }: Table): string {
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0))
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => pad(cell, widths[i] ?? 0, i === 0)).join(" | ")} |`;
  const rule = widths.map((width, i) => i === 0 ? "-".repeat(width) : "-".repeat(width - 1) + ":");
  return [
    `## ${title}`,
    "",
    line(columns),
    line(rule),
    ...rows.map(line),
    "",
    ...notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}

function pad(cell: string, width: number, isLeft: boolean): string {
  return isLeft ? cell.padEnd(width) : cell.padStart(width);
}

/** A whole number, with commas. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Microseconds as milliseconds. */
export function milliseconds(us: number): string {
  return (us / 1000).toFixed(2);
}
