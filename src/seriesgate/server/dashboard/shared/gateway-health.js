/** What a person is told of gateways first: of one, and of all. */

import { counted } from "/dashboard/shared/format.js";

/** The worst first, as a page lists them. */
const KINDS = ["bad", "warn", "good"];

/** How a gateway is, in a word or two. @param {Record<string, any>} gateway */
export function health({ IsQuiet, NotReady, DeadLetters }) {
  if (IsQuiet) {
    return { kind: "bad", text: "Quiet" };
  }
  if (NotReady.length) {
    return { kind: "bad", text: "Not ready" };
  }
  return DeadLetters ? { kind: "warn", text: "Dead letters" } : { kind: "good", text: "All is well" };
}

/** How all of them are, in a line; null where none has ever reported. @param {Record<string, any>[]} gateways */
export function verdict(gateways) {
  if (!gateways.length) {
    return null;
  }
  const quiet = gateways.filter(({ IsQuiet }) => IsQuiet).length;
  const notReady = gateways.filter(({ IsQuiet, NotReady }) => !IsQuiet && NotReady.length).length;
  const dead = gateways.reduce((sum, { DeadLetters }) => sum + DeadLetters, 0);
  const complaints = [
    quiet > 0 && `${counted(quiet, "gateway")} quiet`,
    notReady > 0 && `${counted(notReady, "gateway")} not ready`,
    dead > 0 && counted(dead, "dead letter"),
  ].filter(Boolean);
  return { kind: health(worstFirst(gateways)[0]).kind, text: complaints.join(", ") || "All is well" };
}

/** Gateways in the order in which they need a person. @param {Record<string, any>[]} gateways by name */
export function worstFirst(gateways) {
  /** @param {Record<string, any>} gateway */
  const rank = (gateway) => KINDS.indexOf(health(gateway).kind);
  return gateways.toSorted((one, other) => rank(one) - rank(other));
}
