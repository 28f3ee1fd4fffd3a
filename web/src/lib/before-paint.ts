/** Where the browser keeps the reader's preferences. */
export const KEY = "llmlora";

declare global {
  interface Window {
    /** The token that stood in the address, until `admitted` takes it. */
    llmloraToken?: string;
  }
}

/**
 * Runs in every page before anything is painted and before the router reads the address.
 * It sets language and theme of the document, so that neither flashes; it must say the same as `currentLocale` and `currentTheme`.
 * It takes the token out of the address, so that it is neither shown nor kept in the history.
 */
export const BEFORE_PAINT = `(()=>{let p={};try{p=JSON.parse(localStorage.getItem("${KEY}")).state}catch{}
const d=document.documentElement,b=(navigator.languages??[]).map(l=>l.slice(0,2)).find(l=>l==="ja"||l==="en")??"en";
d.lang=p.locale??b;
d.dataset.theme=p.theme==="light"||p.theme==="dark"?p.theme:matchMedia("(prefers-color-scheme: dark)").matches?"dark":"light";
const t=new URLSearchParams(location.hash.slice(1)).get("token");
if(t!==null){window.llmloraToken=t;history.replaceState(null,"",location.pathname+location.search)}})()`;
