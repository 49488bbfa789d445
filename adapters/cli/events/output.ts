/**
 * Standard output: lines in large pieces, at the pace of whoever reads them. When nobody does any
 * more (`| head`), that is no error.
 */

import process from "node:process";

/** Characters that are written at once. */
const PIECE = 32 * 1024;

/** Nobody reads what is written. */
export class NobodyReads extends Error {
  override readonly name = "NobodyReads";
}

/** Standard output. */
export class Output {
  #text = "";

  constructor() {
    // Each write has its own answer; without this, the stream would have one more, for all.
    process.stdout.on("error", () => {});
  }

  /** Prints a line; what is returned is to be awaited. */
  print(line: string): Promise<void> | undefined {
    this.#text += `${line}\n`;
    return this.#text.length < PIECE ? undefined : this.flush();
  }

  /**
   * Writes all that was printed.
   *
   * @throws {NobodyReads} if the reader has gone.
   */
  flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text === "") return Promise.resolve();
    return new Promise((resolve, reject) => {
      process.stdout.write(text, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(new NobodyReads(String(error)));
      });
    });
  }
}

/** Prints what a command has done: in words, or as one line of JSON. */
export async function printResult(isJson: boolean, text: string, result: object): Promise<void> {
  const output = new Output();
  output.print(isJson ? JSON.stringify(result) : text);
  await output.flush();
}
