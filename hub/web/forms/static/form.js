// Sends the forms of a page whose address is this script's, less ".js": without leaving the page.
// Without it they work as any form does. A page may listen on its form to "hub:sent" (detail: id,
// next) and "hub:faults" (detail: the sentence for each field); preventDefault() replaces what
// this script would show. Attributes of the form: data-thanks, the sentence after it was sent.
(function () {
  "use strict";
  var script = document.currentScript;
  if (!script || !window.fetch || !window.FormData || !window.Promise) return;
  var address = script.src.replace(/[?#].*$/, "").replace(/\.js$/, "");
  var THANKS = "Thank you. Your message has arrived.";
  var UNSENT = "It could not be sent: nothing answers. What you typed is still here; please check your connection and try again.";
  var REFUSED = "It could not be sent. What you typed is still here; please try again in a moment.";
  var CHECK = "Please check what you typed";
  var TOKEN_MS = 5000, SEND_MS = 90000, TOKEN_LIFE_MS = 23 * 3600 * 1000;

  function isOurs(form) {
    try {
      return new URL(form.getAttribute("action") || "", document.baseURI).href === address;
    } catch (error) {
      return false;
    }
  }

  function make(tag, name, text) {
    var made = document.createElement(tag);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
  }

  function hide(form, name, value) {
    var field = form.querySelector('input[type=hidden][name="' + name + '"]');
    if (!field) {
      field = make("input");
      field.type = "hidden";
      field.name = name;
      form.appendChild(field);
    }
    if (!field.value) field.value = value;
    return field;
  }

  function ask(url, options, limit) {
    var control = window.AbortController && new AbortController();
    var timer = control && setTimeout(function () { control.abort(); }, limit);
    options.credentials = "omit";
    if (control) options.signal = control.signal;
    return fetch(url, options).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (said) {
        return { status: answer.status, said: said || {} };
      });
    }).then(function (told) { clearTimeout(timer); return told; },
            function (error) { clearTimeout(timer); throw error; });
  }

  function upgrade(form) {
    if (form.hubUpgraded) return;
    form.hubUpgraded = true;
    form.noValidate = true;
    var busy = false, spoken = [], token = hide(form, "_token", ""), drawn = Date.now();
    hide(form, "_page", location.href.slice(0, 2048));
    hide(form, "_referrer", document.referrer.slice(0, 2048));
    var coming = token.value ? Promise.resolve() : fresh();

    // A form without a token is taken too: it is only not known again when it comes twice.
    // Asked for late, it is told how long the form was open already: nobody is too fast by that.
    function fresh() {
      var open = Math.max(0, Math.floor((Date.now() - drawn) / 1000));
      drawn = Date.now();
      token.value = "";
      return ask(address + "/token?open_s=" + open, {}, TOKEN_MS).then(function (told) {
        token.value = told.said.token || "";
      }, function () {});
    }

    function named(name) {
      return Array.prototype.filter.call(form.elements, function (one) {
        return one.name === name && one.type !== "hidden";
      });
    }

    function unsay() {
      spoken.forEach(function (undo) { undo(); });
      spoken = [];
    }

    function say(element, parent, before) {
      parent.insertBefore(element, before);
      spoken.push(function () { element.remove(); });
    }

    function mark(field, id) {
      var before = field.getAttribute("aria-describedby");
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", before ? before + " " + id : id);
      spoken.push(function () {
        field.removeAttribute("aria-invalid");
        if (before) field.setAttribute("aria-describedby", before);
        else field.removeAttribute("aria-describedby");
      });
    }

    function label(field, name) {
      var group = field && /^(checkbox|radio)$/.test(field.type) && field.closest("fieldset");
      var found = group ? group.querySelector("legend") : field && field.labels && field.labels[0];
      if (!found) return name;
      found = found.cloneNode(true);
      found.querySelectorAll("input,select,textarea,.optional,.form-fault").forEach(function (one) { one.remove(); });
      return found.textContent.replace(/[\s:*]+$/, "").replace(/\s+/g, " ").trim() || name;
    }

    function beside(name, fault) {
      var fields = named(name), first = fields[0], id = "form-fault-" + name;
      if (!first) return;
      var last = fields[fields.length - 1];
      var at = last.closest("label") || last;
      var text = make("p", "form-fault", fault);
      text.id = id;
      say(text, at.parentNode, at.nextSibling);
      fields.forEach(function (one) { mark(one, id); });
    }

    function tell(title, faults) {
      unsay();
      var box = make("div", "form-faults");
      box.setAttribute("role", "alert");
      box.tabIndex = -1;
      var names = Object.keys(faults || {});
      if (!names.length) box.appendChild(make("p", "", title));
      else {
        box.appendChild(make("h2", "", title));
        var list = box.appendChild(make("ul"));
        names.forEach(function (name) {
          var row = list.appendChild(make("li")), field = named(name)[0];
          var word = row.appendChild(make(field ? "a" : "span", "", label(field, name)));
          if (field) {
            word.href = "#" + (field.id || "");
            word.addEventListener("click", function (event) {
              event.preventDefault();
              field.focus();
            });
          }
          row.appendChild(document.createTextNode(": " + faults[name]));
          beside(name, faults[name]);
        });
      }
      say(box, form, form.firstChild);
      box.focus();
    }

    // The answer of a captcha is good once.
    function askAnew() {
      [window.turnstile, window.hcaptcha, window.grecaptcha].forEach(function (widget) {
        if (widget && form.querySelector("[data-sitekey]")) widget.reset();
      });
    }

    function announce(name, detail) {
      return form.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail: detail }));
    }

    function sent(said) {
      form.reset();
      token.value = "";
      if (!announce("hub:sent", said)) { coming = fresh(); return; }
      if (said.next) { location.assign(said.next); return; }
      var thanks = make("p", "form-thanks", form.getAttribute("data-thanks") || THANKS);
      thanks.setAttribute("role", "status");
      thanks.tabIndex = -1;
      form.parentNode.insertBefore(thanks, form);
      form.hidden = true;
      thanks.focus();
    }

    function finish(told) {
      askAnew();
      if (told.status === 200) { unsay(); sent(told.said); }
      else if (told.status === 422 && told.said.errors) {
        if (announce("hub:faults", told.said.errors)) tell(CHECK, told.said.errors);
      } else tell(told.said.detail || REFUSED);
    }

    function rest(resting) {
      busy = !resting;
      form.querySelectorAll("button,input[type=submit]").forEach(function (one) {
        if (resting) one.removeAttribute("aria-disabled");
        else one.setAttribute("aria-disabled", "true");
      });
    }

    form.addEventListener("submit", function (event) {
      event.preventDefault();
      if (busy) return;
      rest(false);
      if (!token.value && Date.now() - drawn > TOKEN_MS || Date.now() - drawn > TOKEN_LIFE_MS) coming = fresh();
      coming.then(function () {
        var headers = { Accept: "application/json" };
        return ask(address, { method: "POST", body: new FormData(form), headers: headers }, SEND_MS);
      }).then(finish, function () { askAnew(); tell(UNSENT); }).then(rest.bind(null, true), rest.bind(null, true));
    });

    // Coming back to a page that was kept as it was: its token is spent.
    window.addEventListener("pageshow", function (event) {
      if (event.persisted) { rest(true); coming = fresh(); }
    });
  }

  function start() {
    Array.prototype.filter.call(document.forms, isOurs).forEach(upgrade);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
