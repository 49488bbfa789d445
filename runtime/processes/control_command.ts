/**
 * What a command of the control socket is, for those who write one. How commands are read and
 * answered is in `control_conversation.ts`.
 */

/** A command of a control socket. */
export interface ControlCommand {
  /** What it is called by: `spawn-workers`. */
  readonly name: string;
  /** Its arguments, as the help shows them: `N`; those that may be missing in brackets, last. */
  readonly parameters: readonly string[];
  /** What it does, in a line. */
  readonly summary: string;
  /**
   * Does it. As many arguments come as `parameters` allow. When it resolves the answer is `OK`; it
   * may take as long as it needs, or go on until the client has left.
   *
   * @throws {ControlError} if it cannot be done: the answer is `ERROR: ` and the message. What else
   * it throws is reported as a fault too.
   */
  run(args: readonly string[], output: ControlOutput): void | Promise<void>;
}

/** Where a command prints. */
export interface ControlOutput {
  /**
   * Prints a line. What is returned is to be awaited: it resolves when the line is on its way to the
   * client, so that one who reads slowly is not ahead of by more than a line.
   *
   * @throws {ClientGone} if the client has left; the command may let it pass.
   */
  print(line: string): Promise<void>;
  /**
   * Aborts when the client is known to have left, which may be at the next line, or when the server
   * stops. The answer does not wait for the command then; what it does may go on.
   */
  readonly signal: AbortSignal;
}

/** Why a command cannot be done: for its user, in a line. */
export class ControlError extends Error {
  override readonly name = "ControlError";
}

/** Nobody waits for the answer any more. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** A command as it is called: its name and its parameters. */
export function usageOf({ name, parameters }: ControlCommand): string {
  return [name, ...parameters].join(" ");
}

/**
 * Whether a command takes so many arguments.
 *
 * @throws {ControlError} if it does not.
 */
export function checkArguments(command: ControlCommand, args: readonly string[]): void {
  const { parameters } = command;
  if (args.length > parameters.length) throw new ControlError("unexpected arguments");
  const needed = parameters.filter((parameter) => !parameter.startsWith("[")).length;
  if (args.length >= needed) return;
  throw new ControlError(`missing arguments, want ${usageOf(command)}`);
}
