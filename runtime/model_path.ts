/**
 * The way through a model to one of its parts, as one would write it: `model.users.get("ann")`.
 */

/** Steps that are named; of a longer way the first and the last half of them. */
const STEPS_MAX = 32;
/** Characters of a key. */
const KEY_MAX = 60;

/**
 * The way that leads through `around`, from the model itself inwards. `at[i]` says where in
 * `around[i]` it goes on: the key of an object or an array, how many members of a set come before
 * it, and for a map twice as many, and one more for a value than for its key.
 */
export function pathText(around: readonly object[], at: readonly unknown[]): string {
  let path = "model";
  for (const [i, object] of around.entries()) {
    if (i >= STEPS_MAX / 2 && i < around.length - STEPS_MAX / 2) {
      if (!path.endsWith(" … ")) path += " … ";
    } else path = stepText(path, object, at[i]);
  }
  return path;
}

function stepText(path: string, object: object, at: unknown): string {
  if (object instanceof Map && typeof at === "number") {
    const index = Math.floor(at / 2);
    if (at % 2 === 0) return `[...${path}.keys()][${index}]`;
    const key: unknown = [...object.keys()][index];
    return typeof key === "object" && key !== null
      ? `[...${path}.values()][${index}]`
      : `${path}.get(${keyText(key)})`;
  }
  if (object instanceof Set) return `[...${path}][${at}]`;
  if (typeof at === "number") return `${path}[${at}]`;
  if (Array.isArray(object) && /^\d+$/.test(String(at))) return `${path}[${at}]`;
  return typeof at === "string" && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(at)
    ? `${path}.${at}`
    : `${path}[${keyText(at)}]`;
}

function keyText(key: unknown): string {
  if (typeof key === "bigint") return `${key}n`;
  if (typeof key !== "string") return Object.is(key, -0) ? "-0" : String(key);
  return JSON.stringify(key.length > KEY_MAX ? `${key.slice(0, KEY_MAX)}…` : key);
}
