/**
 * A process that outlives the front if that is killed, and kills what it has started: each child has a
 * process group of its own, and the guard kills the groups that it was told of when its input ends.
 * Where there is `setpriv` the kernel kills the children as well, whatever becomes of the guard.
 */

import { type ChildProcess, spawn } from "node:child_process";

/**
 * Reads `+ GROUP` and `- GROUP`, until there is nothing more to read. It ignores the signals that a
 * terminal or a supervisor may send to all.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -) rest=
       for each in $groups; do [ "$each" = "$group" ] || rest="$rest $each"; done
       groups=$rest ;;
  esac
done
for each in $groups; do kill -s KILL -- "-$each"; done
`;

/** Guards process groups. */
export class OrphanGuard {
  readonly #groups = new Set<number>();
  #child: ChildProcess;
  #isClosed = false;

  constructor() {
    this.#child = this.#start();
  }

  /** Guards a group from now on; calls `guarded` when it is. */
  add(group: number, guarded: () => void): void {
    this.#groups.add(group);
    this.#tell(`+ ${group}\n`, guarded);
  }

  /** Forgets a group: its number may become another's. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}\n`);
  }

  /** Ends the guard, which kills what is left. */
  close(): void {
    this.#isClosed = true;
    this.#child.stdin?.end();
  }

  #start(): ChildProcess {
    const child = spawn("/bin/sh", ["-c", SCRIPT], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    child.unref();
    child.stdin?.on("error", () => {}); // Its end tells.
    child.on("error", () => {}); // As well.
    child.on("exit", () => {
      if (this.#isClosed) return;
      // Whoever has killed it may do so again: not more than once for each turn of the loop.
      this.#child = this.#start();
      for (const group of this.#groups) this.#tell(`+ ${group}\n`);
    });
    return child;
  }

  #tell(line: string, told: () => void = () => {}): void {
    const { stdin } = this.#child;
    // Without a guard the children are started all the same.
    if (!stdin?.writable) return told();
    stdin.write(line, () => told());
  }
}
