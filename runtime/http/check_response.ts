/**
 * What a handler or a lifecycle step has returned is looked at before it is used: JavaScript knows
 * no types, and what is no response would fail far from whoever made it.
 */

/** Whether `value` is a Response. */
export function isResponse(value: unknown): value is Response {
  return isCalled(value, "Response");
}

/** Whether `value` is a Request. */
export function isRequest(value: unknown): value is Request {
  return isCalled(value, "Request");
}

/** Servers replace the classes, so their names must do. */
function isCalled(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === name;
}

/** Lets go of an answer that nobody will get, for `reason`: its body may hold a file open. */
export function dropResponse(value: unknown, reason?: unknown): void {
  // One that cannot be cancelled is somebody else's.
  if (isResponse(value)) value.body?.cancel(reason).catch(() => {});
}

/** @throws {TypeError} if `value` is no Response. */
export function checkResponse(value: unknown, expectation: string): asserts value is Response {
  if (!isResponse(value)) {
    throw new TypeError(`Cannot answer: ${expectation}, not ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null
    ? `an object of class ${value.constructor?.name}`
    : typeof value === "function"
    ? "a function"
    : String(value);
}
