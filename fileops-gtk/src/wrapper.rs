//! How widgets are declared. `gtk::Accessible` is among what they implement only where gtk4-rs has it.

macro_rules! widget {
    ($(#[$about:meta])* $name:ident) => {
        #[cfg(not(feature = "v4_10"))]
        gtk::glib::wrapper! {
            $(#[$about])*
            pub struct $name(ObjectSubclass<imp::$name>)
                @extends gtk::Widget,
                @implements gtk::Buildable, gtk::ConstraintTarget;
        }

        #[cfg(feature = "v4_10")]
        gtk::glib::wrapper! {
            $(#[$about])*
            pub struct $name(ObjectSubclass<imp::$name>)
                @extends gtk::Widget,
                @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
        }
    };
}

macro_rules! window {
    ($(#[$about:meta])* $name:ident) => {
        #[cfg(not(feature = "v4_10"))]
        gtk::glib::wrapper! {
            $(#[$about])*
            pub struct $name(ObjectSubclass<imp::$name>)
                @extends gtk::Window, gtk::Widget,
                @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
        }

        #[cfg(feature = "v4_10")]
        gtk::glib::wrapper! {
            $(#[$about])*
            pub struct $name(ObjectSubclass<imp::$name>)
                @extends gtk::Window, gtk::Widget,
                @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
        }
    };
}
