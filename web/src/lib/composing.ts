import type { KeyboardEvent } from "react";

/** Whether this Enter confirms kana: it must not send anything. Safari ends the composition first, and says 229. */
export function isComposing(event: KeyboardEvent): boolean {
  return event.nativeEvent.isComposing || event.keyCode === 229;
}

/** For `onKeyDown`: Enter sends, Shift+Enter and the Enter of an input method do not. */
export function onEnter(send: () => void) {
  return (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    send();
  };
}
